import threading
import time


def haha(max_num):
    try:
        for i in range(max_num):
            time.sleep(1)
            print(i)
    finally:
        print("tidied up")


for _ in range(3):
    t = threading.Thread(target=haha, args=(1,))
    t.start()
