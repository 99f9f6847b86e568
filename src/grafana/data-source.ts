/** The trace store as a data source of Grafana's, for its provisioning folder. Pure; called by grafana.ts. */

/** datasource.yaml. */
export const dataSource = {
  apiVersion: 1,
  datasources: [
    {
      name: "Headgate",
      uid: "headgate",
      type: "jaeger",
      access: "proxy",
      url: "http://localhost:8787/jaeger",
      basicAuth: true,
      // Any name will do: the password is the admin token.
      basicAuthUser: "admin",
      secureJsonData: { basicAuthPassword: "$HEADGATE_ADMIN_TOKEN" },
      jsonData: { traceIdTimeParams: { enabled: false } },
      editable: true,
    },
  ],
};
