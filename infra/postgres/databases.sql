-- Run once, when the volume is new.
CREATE DATABASE prefect;
CREATE DATABASE mlflow;
