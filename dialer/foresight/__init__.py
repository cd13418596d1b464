"""What would be: the very stages of the service, on a copy that is thrown away, by a clock of its own.

copying    what the database knows → a database in memory; the real one is only read
people     one reading of the CRM for all days to come, and whom each day's reading would bring
answers    how the calls end that nobody places: by assumption, the same for the same seed
playing    from event to event: read, plan, claim, record
seen       what came of it, as values for `plan` and `simulate`
"""
