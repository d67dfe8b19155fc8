"""What happens to each subject and when: schedules and NONMEM records as flat tables of events, covariates in between."""
