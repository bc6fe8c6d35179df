// The pages of the account menu, in its order.

import { auditHref, developerHref } from "../route.js";

const isAdmin = (user) => user?.accessRole === "admin";
const mayHaveKey = (user) => user?.accessRole !== "viewer";

/** `name`: of the route; `isFor(user)`: whether a user is shown the link. */
export const ACCOUNT_LINKS = [
  { name: "developer", href: developerHref, icon: "code", text: "API key & developer", isFor: mayHaveKey },
  { name: "audit", href: auditHref(), icon: "audit", text: "Audit log", isFor: isAdmin },
];
