import os
import time

import psutil

child = os.fork()
if child == 0:
    os._exit(7)
while psutil.Process(child).status() != psutil.STATUS_ZOMBIE:
    time.sleep(0.01)
print("nobody waited:", psutil.Process(child).status())
_, status = os.waitpid(child, 0)
print("waited for, exit code:", os.waitstatus_to_exitcode(status))
print("still in the list:", psutil.pid_exists(child))
