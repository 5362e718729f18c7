-- The carrier: a text parameter that the application's role can neither SET nor
-- pass at startup. Only pgtenant_seal may, in the function pgtenant.bind.
GRANT SET ON PARAMETER backtrace_functions TO pgtenant_seal;
