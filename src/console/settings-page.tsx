/** The page /console/settings. */

import { render } from "preact";
import { SettingsScreen } from "./screens/settings.tsx";

render(<SettingsScreen />, document.body);
