"""How the weights are made and how anyone checks them: trainer, evaluator, recipes."""
