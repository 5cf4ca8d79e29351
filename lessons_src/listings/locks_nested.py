import sys
import threading

lock = getattr(threading, sys.argv[1])()
balance = 0


def deposit(amount):
    global balance
    with lock:
        balance += amount


def deposit_twice(amount):
    with lock:
        deposit(amount)
        deposit(amount)


deposit_twice(5)
print("balance", balance)
