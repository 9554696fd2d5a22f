"""RQ: a job is in a registry from the time that a worker has it until it has ended."""

import sys

import job
from redis import Redis
from rq import Queue, Worker

CONNECTION = Redis.from_url(job.URL)


def run(number):
    job.note(number)


def held():
    queue = Queue(connection=CONNECTION)
    registries = [queue.started_job_registry, queue.failed_job_registry, queue.intermediate_queue]
    return [int(i) for registry in registries for i in registry.get_job_ids()]


if __name__ == "__main__":
    if sys.argv[1] == "worker":
        Worker([Queue(connection=CONNECTION)], connection=CONNECTION).work(logging_level="WARNING")
    elif sys.argv[1] == "produce":
        queue = Queue(connection=CONNECTION)
        job.produce(lambda number: queue.enqueue("rq_jobs.run", number, job_id=str(number), result_ttl=60))
    else:
        print(*held())
