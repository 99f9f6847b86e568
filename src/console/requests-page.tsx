/** The page /console/requests. */

import { render } from "preact";
import { RequestsScreen } from "./screens/requests.tsx";

render(<RequestsScreen />, document.body);
