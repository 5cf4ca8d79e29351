# Program C
import os

from lessons_src.fork import wait_for_children

os.fork() or os.fork()
print("done")
wait_for_children()
