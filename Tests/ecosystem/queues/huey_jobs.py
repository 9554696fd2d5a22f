"""Huey: a job leaves the server when a worker asks for one, and may be lost with either."""

import sys

import job
from huey import PriorityRedisHuey
from huey.consumer import Consumer

huey = PriorityRedisHuey("jobs", url=job.URL, results=False)


@huey.task()
def run(number):
    job.note(number)


if __name__ == "__main__":
    if sys.argv[1] == "worker":
        Consumer(huey, workers=2, initial_delay=0.05, max_delay=0.2).run()
    elif sys.argv[1] == "produce":
        job.produce(run)
    else:
        print()
