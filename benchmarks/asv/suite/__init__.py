"""asv's benchmarks: only what users can call, so that commits with other insides are measured too.

`tasks.py` reads those insides; what is shared with the programs of the folder above does not.
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2]))  # last: nothing there may hide an installed package
