import os
from threading import Event, Lock, Thread, active_count

lock, held, done = Lock(), Event(), Event()


def hold():
    with lock:
        held.set()
        done.wait()


Thread(target=hold).start()
held.wait()
print("parent has", active_count(), "threads", flush=True)
child = os.fork()
if child == 0:
    print("child has", active_count(), "thread", flush=True)
    print("child got the lock:", lock.acquire(timeout=0.2), flush=True)
    print("child asks again, without a limit", flush=True)
    lock.acquire()
done.set()
os.waitpid(child, 0)
