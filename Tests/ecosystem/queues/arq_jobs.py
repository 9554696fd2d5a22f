"""arq: a job stays queued until it has ended, and is begun again when its worker was not heard of."""

import asyncio
import sys

import job
from arq import create_pool
from arq.connections import RedisSettings
from arq.worker import Worker

SETTINGS = RedisSettings.from_dsn(job.URL)
SETTINGS.conn_retries = 100


async def run(context, number):
    job.note(number)


async def produce():
    pool = await create_pool(SETTINGS)
    for number in range(int(sys.argv[2]), int(sys.argv[3])):
        try:
            # None: the connection ended meanwhile.
            taken = await pool.enqueue_job("run", number, _job_id=str(number))
        except Exception as error:
            print(f"{number} unknown {type(error).__name__}", flush=True)
            await asyncio.sleep(0.05)
        else:
            print(f"{number} {'taken' if taken else 'unknown'}", flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "worker":
        asyncio.set_event_loop(asyncio.new_event_loop())
        Worker([run], redis_settings=SETTINGS, poll_delay=0.1, job_timeout=3, keep_result=60).run()
    elif sys.argv[1] == "produce":
        asyncio.run(produce())
    else:
        print()
