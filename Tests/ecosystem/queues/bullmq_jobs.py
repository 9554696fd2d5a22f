"""BullMQ for Python: a job is locked by its worker, and stalled ones are begun again."""

import asyncio
import sys

import job
from bullmq import Queue, Worker


async def run(task, token):
    job.note(task.data["number"])


async def produce():
    queue = Queue("jobs", {"connection": job.URL})
    for number in range(int(sys.argv[2]), int(sys.argv[3])):
        try:
            await queue.add("run", {"number": number}, {"jobId": f"job-{number}", "attempts": 20})
        except Exception as error:
            print(f"{number} unknown {type(error).__name__}", flush=True)
            await asyncio.sleep(0.05)
        else:
            print(f"{number} taken", flush=True)
    await queue.close()


async def work():
    Worker("jobs", run, {"connection": job.URL, "lockDuration": 3000, "stalledInterval": 1000, "maxStalledCount": 50})
    await asyncio.Event().wait()


if __name__ == "__main__":
    if sys.argv[1] == "worker":
        asyncio.run(work())
    elif sys.argv[1] == "produce":
        asyncio.run(produce())
    else:
        print()
