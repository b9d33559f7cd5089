"""places: where the programs under test lie."""
import os

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("TROUPE_BUILD_DIR", os.path.join(ROOT, "build"))
TROUPE = os.path.join(BUILD, "troupe")
CHECKER = os.path.join(BUILD, "tests/sim/checkers/history_check")
DISK_FAULT = os.path.join(BUILD, "tests/faults/libdisk_fault.so")
POWER_CUT = os.path.join(BUILD, "tests/faults/power_cut")
