"""A kind of operation made for the fault campaigns: steps, sleeps, programs, and a ledger of them.

`python -m tests.support.demo` is `dbopsd` with it.
"""
