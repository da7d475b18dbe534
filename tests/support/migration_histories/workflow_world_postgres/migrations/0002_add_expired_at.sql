ALTER TABLE "workflow"."workflow_runs" ADD COLUMN "expired_at" timestamp;

