"""Find the root of two, and print how far it is."""

import argparse
import sys

parser = argparse.ArgumentParser()
parser.add_argument("--rate", type=float)
rate = parser.parse_args().rate
guess = 1.0
for epoch in range(1, 6):
    guess -= rate * (guess**2 - 2) / guess
    print(f"loss {abs(guess**2 - 2):.6g}")
    print(f"epoch {epoch}: val_acc={100 - 50 * abs(guess**2 - 2):.2f}")
    print("warning: val_acc: 1.0 is only the start", file=sys.stderr)
