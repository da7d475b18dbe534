"""The audit log: who changed what, from where and how it ended, in lines that cannot be unsaid.

A JSON object a line, each chained to the one before by a hash, on disk before the call goes on.
"""
