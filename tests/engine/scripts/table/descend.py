"""Go downhill, and write a table."""

import csv
import sys

place = 1.0
with open("history.csv", "w", newline="") as file:
    table = csv.writer(file)
    table.writerow(["step", "loss", "note"])
    for step in range(int(sys.argv[1])):
        table.writerow([step, place**2, ""])
        place *= 0.5
