"""Correct answers, one module a set: what minillm itself computes, on plain data.

`grading.solutions.ex03_autograd.softmax` has the name and the signature of the stub in
`lessons/exercises/ex03_autograd.py`. No process that runs a student's code imports these.
"""
