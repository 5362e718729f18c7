SET/**/session/* x */./* /* nested */ */current_organization_id--c
='bbbbbbbb-0000-4000-8000-000000000002'