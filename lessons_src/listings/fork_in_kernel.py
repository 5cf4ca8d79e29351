import psutil
from jupyter_client.manager import start_new_kernel

quiet = ["--HistoryManager.enabled=False"]
manager, client = start_new_kernel(extra_arguments=quiet)
try:
    kernel = psutil.Process(manager.provisioner.pid)
    print("threads in the kernel, more than one:", kernel.num_threads() > 1)
    client.execute("import os; os.fork()", reply=True, timeout=30)
    print("kernels after that cell:", 1 + len(kernel.children()))
finally:
    client.stop_channels()
    manager.shutdown_kernel(now=True)
