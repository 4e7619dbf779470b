"""The main job, from raw data to two decided rollouts. One rule: it uses Serin as a user does, by its command line."""
