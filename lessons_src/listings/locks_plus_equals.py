import sys
from threading import Barrier, Thread

TIMES, ROUNDS = 500_000, int(sys.argv[1])
# Ask Python to switch threads as often as it can
sys.setswitchinterval(1e-6)


class Account:
    balance = 0


def deposit_often(account, meet):
    meet.wait()
    for _ in range(TIMES):
        account.balance += 1


def lost_in_one_round():
    account, meet = Account(), Barrier(2)
    threads = [Thread(target=deposit_often, args=(account, meet)) for _ in "AB"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return 2 * TIMES - account.balance


print("some deposits are lost:", any(lost_in_one_round() for _ in range(ROUNDS)))
