# Program B
import os

from lessons_src.fork import wait_for_children

for _ in range(3):
    if os.fork() == 0:
        break
print("done")
wait_for_children()
