"""Add the areas of shapes."""

import configparser
import json
from pathlib import Path

import click
from shapes import areas, sizes, totals


@click.command()
@click.option("--shape", type=click.Choice(["circle", "square"]), required=True)
@click.option("--count", default=10)
def main(shape: str, count: int) -> None:
    """Write the total area of some shapes."""
    config = configparser.ConfigParser()
    config.read("configs/sizes.ini")
    found = totals.total(areas.area(shape, one) for one in sizes.sizes(config, count))
    Path("out").mkdir()
    Path("out/areas.json").write_text(json.dumps({"total": {"area": found}}))


if __name__ == "__main__":
    main()
