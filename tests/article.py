"""Which listings, claims and bugs of the article each lesson owes an answer to."""

import re

# L: listings, C: claims, B: bugs of its runner, J: what happens in Jupyter
OWED = {
    "start_here": "C10-C13",
    "process_pool": "L01 L02 L04 L05 C01 C04-C13 C20",
    "spawn_and_windows": "L03 C14-C19 J1-J3 J10",
    "fork": "L22 C38-C43",
    "threads": "L06-L08 C22-C25",
    "locks": "L09-L11 C26-C30",
    "thread_subclasses": "L12 C31",
    "progress_bars": "L14-L18 C34-C36",
    "timing": "L19 C37",
    "line_profiler": "L13 C32 C33",
    "futures": "L20 C44",
    "broken_pools": "L21 C45-C51 B01-B17",
    "image_features": "L23 C03 C21",
    "gil_and_scaling": "C01 C02",
    "many_machines": "",
    "be_the_scheduler": "",
}
RANGE = re.compile(r"([A-Z])(\d+)-[A-Z](\d+)")


def expanded(text):
    """Return the ids that `text` names, ranges such as C10-C13 written out."""
    ids = []
    for word in text.split():
        if found := RANGE.fullmatch(word):
            letter, first, last = found.groups()
            numbers = range(int(first), int(last) + 1)
            ids += [f"{letter}{number:0{len(first)}}" for number in numbers]
        else:
            ids.append(word)
    return ids


OWED_IDS = {stem: expanded(text) for stem, text in OWED.items()}
ALL_IDS = {each for ids in OWED_IDS.values() for each in ids}
