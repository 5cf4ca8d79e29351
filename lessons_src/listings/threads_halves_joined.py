import sys
import threading
import time

from lessons_src.threads import read_servers

servers = read_servers(sys.argv[1]).servers
mid = int(len(servers) / 2)


def main_range(start, stop):
    if start == 0:
        time.sleep(1)  # the first half is slow today
    for host, port in servers[start:stop]:
        print(host, port)


threads = []
t1 = threading.Thread(target=main_range, args=(0, mid))
threads.append(t1)
t2 = threading.Thread(target=main_range, args=(mid, len(servers)))
threads.append(t2)

for t in threads:
    t.start()
for t in threads:
    t.join()
print("ok")
