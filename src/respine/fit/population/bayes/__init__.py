"""Bayes: the joint posterior of parameters and random effects, drawn by NUTS."""
