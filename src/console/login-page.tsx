/** The page /console/login. */

import { render } from "preact";
import { LoginScreen } from "./screens/login.tsx";

render(<LoginScreen />, document.body);
