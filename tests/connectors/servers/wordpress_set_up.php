<?php
// Installs WordPress into an empty database and prints an application password of its one user.
define('WP_INSTALLING', true);
$_SERVER['HTTP_HOST'] = '127.0.0.1';
require $argv[1] . '/wp-load.php';
require_once ABSPATH . 'wp-admin/includes/upgrade.php';
wp_install('Shop', 'team', 'team@shop.example', true, '', 'unused-password');
list($password) = WP_Application_Passwords::create_new_application_password(1, ['name' => 'countersign']);
echo "\nPASSWORD " . $password . "\n";
