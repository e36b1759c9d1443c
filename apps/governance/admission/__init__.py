"""Admission: one atomic script in Valkey decides whether a call may go ahead and holds what it may use.

`engine.AdmissionEngine` for asyncio, `blocking.BlockingAdmission` for threads; `types` and `limits` are the
vocabulary. No Django in here, so that the gateway can use it before Django's handler and tools can use it
without settings.
"""
