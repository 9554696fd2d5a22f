"""Celery, with Redis as broker and for results; with chords in batches of ten, whose last task counts the others."""

import sys

import job
from celery import Celery, chord

app = Celery("celery_jobs", broker=job.URL, backend=job.URL)
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    broker_transport_options={"visibility_timeout": 5},
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    worker_prefetch_multiplier=1,
    task_publish_retry=False,
)


@app.task(name="run")
def run(number):
    job.note(number)
    return number


@app.task(name="together")
def together(numbers, first):
    if sorted(numbers) == list(range(first + 1, first + 10)):
        job.note(first)


def enqueue(number):
    # The chord has the other numbers.
    if number % 10 == 0:
        chord([run.s(number + i) for i in range(1, 10)], together.s(number))()


if __name__ == "__main__":
    if sys.argv[1] == "worker":
        options = ["worker", "--pool=solo", "--without-gossip", "--without-mingle", "-l", "ERROR"]
        app.worker_main(options)
    elif sys.argv[1] == "produce":
        job.produce(enqueue)
    else:
        print()
