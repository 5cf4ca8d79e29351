import os

from lessons_src.fork import own_megabytes

half = 50 * 2**20
block = bytearray(b"x") * (2 * half)
child = os.fork()
if child == 0:
    print(f"just forked     {own_megabytes():4.0f} MB of its own")
    block.count(b"x")
    print(f"read all        {own_megabytes():4.0f} MB")
    block[:half] = b"y" * half
    print(f"wrote half      {own_megabytes():4.0f} MB")
    block[half:] = b"y" * half
    print(f"wrote the rest  {own_megabytes():4.0f} MB", flush=True)
    os._exit(0)
os.waitpid(child, 0)
