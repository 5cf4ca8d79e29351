import os

from lessons_src.fork import own_megabytes

numbers = [float(number) for number in range(1_650_000)]
child = os.fork()
if child == 0:
    print(f"just forked     {own_megabytes():4.0f} MB of its own")
    sum(numbers)
    print(f"read all        {own_megabytes():4.0f} MB", flush=True)
    os._exit(0)
os.waitpid(child, 0)
