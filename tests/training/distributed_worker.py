"""One of several processes that train together: started by torchrun, in tests/training/test_distributed.py.

Usage: distributed_worker.py RECIPE PICTURES OUTPUT. Every process writes its own parameters to OUTPUT/RANK.pt.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from vidcolor_training.distributed import joined_world
from vidcolor_training.recipes.toml import load_recipe
from vidcolor_training.run import RunFiles, StartingPoint, start_run
from vidcolor_training.trainer import RunOptions


def main(recipe: str, pictures: str, output: str) -> None:
    folder = Path(output)
    with joined_world(torch.device("cpu")) as world:
        trainer = start_run(
            load_recipe(recipe),
            RunFiles(data=[Path(pictures)], run=folder / "run", cache=folder / "cache"),
            StartingPoint(pretrained=folder),
            world=world,
            options=RunOptions(),
            warn=lambda line: None,
        )
        trainer.train()
        parameters = {name: value.detach() for name, value in trainer.state.generator.named_parameters()}
        torch.save({"parameters": parameters, "pictures": trainer.state.position.pictures}, folder / f"{world.rank}.pt")


if __name__ == "__main__":
    main(*sys.argv[1:])
