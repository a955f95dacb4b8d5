"""Scores → what can be concluded from them. Pure: no files, no clock, no network, no chance that is not seeded.

Two kinds of modules. What every suite shows needs the standard library alone: `figures`, `gates`, `families`,
`sequential`, `pareto`, `sentence`. What compares, plans or calibrates needs scipy, the extra `evals`: `paired`,
`plan`, `agreement`, `bias`. Import those inside the function that uses them; scipy itself has one door, `scipy_door`.
"""
