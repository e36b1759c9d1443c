"""Reading the ledger for the people it is about: usage, calls, spend and health of the tenant in force.

Prices only. What a call costs the operator is for the operator's own pages (`operator_figures`).
"""
