"""The tasks of `inv`: arguments in, one action, result out."""
