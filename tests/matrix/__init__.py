"""Every source, split, folds, preparation, family, option and task with every other."""
