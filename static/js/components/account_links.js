// The pages of the account menu, in its order.

import { auditHref, developerHref, passwordHref, peopleHref, settingsHref, tokensHref } from "../route.js";

/** `name`: of the route; `needs`: the permission without which the link is not shown. */
export const ACCOUNT_LINKS = [
  { name: "people", href: peopleHref, icon: "people", text: "People", needs: "manage_people" },
  { name: "settings", href: settingsHref, icon: "settings", text: "Settings", needs: "manage_organization" },
  { name: "developer", href: developerHref, icon: "code", text: "API key & developer", needs: "own_key" },
  { name: "tokens", href: tokensHref, icon: "key", text: "Read tokens", needs: "manage_tokens" },
  { name: "audit", href: auditHref(), icon: "audit", text: "Audit log", needs: "read_audit" },
  { name: "password", href: passwordHref, icon: "lock", text: "Password", needs: null },
];
