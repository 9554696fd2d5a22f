"""SAQ: what a worker had is swept back into the queue once its time is over."""

import asyncio
import sys

import job
from saq import Queue, Worker

queue = Queue.from_url(job.URL)


async def run(context, *, number):
    job.note(number)


async def produce():
    await queue.connect()
    for number in range(int(sys.argv[2]), int(sys.argv[3])):
        try:
            await queue.enqueue("run", number=number, key=str(number), timeout=3, retries=20)
        except Exception as error:
            print(f"{number} unknown {type(error).__name__}", flush=True)
            await asyncio.sleep(0.05)
        else:
            print(f"{number} taken", flush=True)


async def work():
    await Worker(queue, functions=[run], concurrency=2, timers={"schedule": 1, "sweep": 1, "abort": 1}).start()


if __name__ == "__main__":
    if sys.argv[1] == "worker":
        asyncio.run(work())
    elif sys.argv[1] == "produce":
        asyncio.run(produce())
    else:
        print()
