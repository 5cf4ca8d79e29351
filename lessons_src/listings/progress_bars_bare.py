import io
import sys

sys.modules["ipywidgets"] = None  # as if it were not installed

from tqdm import notebook, tqdm

for bar in (tqdm, notebook.tqdm):
    try:
        rooms = list(bar(range(3), file=io.StringIO()))
        print(f"{bar.__name__}: {len(rooms)} rooms")
    except ImportError as error:
        print(f"{bar.__name__}: ImportError: {error}".split(".")[0])
