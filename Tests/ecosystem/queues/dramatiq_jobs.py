"""Dramatiq: what a worker has is held for it, and requeued once it has not been heard of."""

import sys

import dramatiq
import job
from dramatiq.brokers.redis import RedisBroker

dramatiq.set_broker(RedisBroker(url=job.URL, heartbeat_timeout=3000, maintenance_chance=200000))


@dramatiq.actor(max_retries=5, min_backoff=100)
def run(number):
    job.note(number)


if __name__ == "__main__":
    if sys.argv[1] == "worker":
        from dramatiq.cli import main, make_argument_parser

        sys.exit(main(make_argument_parser().parse_args(["dramatiq_jobs", "-p", "1", "-t", "2"])))
    elif sys.argv[1] == "produce":
        job.produce(run.send)
    else:
        print()
