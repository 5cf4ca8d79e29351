from concurrent.futures import ThreadPoolExecutor
from threading import Condition

changed = Condition()
balance = 0


def withdraw(amount):
    global balance
    with changed:
        changed.wait_for(lambda: balance >= amount)
        balance -= amount


def pay_in(amount):
    global balance
    with changed:
        balance += amount
        changed.notify_all()


with ThreadPoolExecutor(2) as threads:
    threads.submit(withdraw, 30)
    threads.map(pay_in, [10, 10, 20])

print("left:", balance)
