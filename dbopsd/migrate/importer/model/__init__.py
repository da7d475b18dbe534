"""What all stages share: requests, plan, report, the schema and profile of the source, errors."""
