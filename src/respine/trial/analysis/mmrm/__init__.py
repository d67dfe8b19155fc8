"""Mixed models for repeated measures: REML and ML with exact derivatives, degrees of freedom by name."""
