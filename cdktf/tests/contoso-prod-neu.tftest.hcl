# A further region: its own group and apps, the identity of the first region.
mock_provider "azurerm" {
  mock_data "azurerm_user_assigned_identity" {
    defaults = {
      id           = "/subscriptions/00000000-0000-4000-8000-000000000003/resourceGroups/pvc-prod-contosogw-rg-weu/providers/Microsoft.ManagedIdentity/userAssignedIdentities/pvc-prod-contosogw-id-weu"
      client_id    = "00000000-0000-4000-8000-000000000004"
      principal_id = "00000000-0000-4000-8000-000000000005"
    }
  }
}

variables {
  image = "contoso.azurecr.io/aigateway@sha256:0000000000000000000000000000000000000000000000000000000000000000"
}

run "plan" {
  command = plan

  assert {
    condition     = azurerm_resource_group.group.location == "northeurope"
    error_message = "The region is another one."
  }

  assert {
    condition     = one(azurerm_container_app.app-proxy.identity[0].identity_ids) == data.azurerm_user_assigned_identity.identity-proxy.id
    error_message = "The app would not sign in as the proxies of the first region."
  }
}
