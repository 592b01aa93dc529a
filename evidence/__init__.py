"""Makes the report: evidence that the stack works, as HTML, PDF, JSON and pictures.

The role `report` gathers what only the host can say and hands it over on standard input
(`python -m evidence`); what a user would see from outside is looked at from here.
"""
